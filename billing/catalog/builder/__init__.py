"""The plan builder: the page on which the charges of a draft version are priced and tried, and plans to start from."""

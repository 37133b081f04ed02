"""What stands before Django for `POST /api/v1/events`: less framework a request, and one commit for many requests."""

"""What a subscription binds on a day: a plan version's charges under the customer's own terms."""

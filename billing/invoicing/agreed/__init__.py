"""Pages on which contracts agree terms as a whole and redeem coupons, with what that does to the next bill."""

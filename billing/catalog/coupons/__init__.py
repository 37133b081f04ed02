"""Coupons, and who redeemed them from when on."""

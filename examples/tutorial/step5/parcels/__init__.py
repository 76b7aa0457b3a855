"""A service that follows parcels."""

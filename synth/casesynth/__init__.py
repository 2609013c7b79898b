"""The privacy engine: coded people in, a protected release out."""

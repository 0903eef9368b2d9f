"""What kerasq-convert does beside a conversion."""

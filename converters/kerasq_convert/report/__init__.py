"""What a conversion did, as text, JSON and HTML."""

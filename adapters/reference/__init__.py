"""What the world says of instruments and exchanges: masters, universes, session tables."""

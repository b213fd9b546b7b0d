"""The composition root, the command line and the web: everything outside that people touch."""

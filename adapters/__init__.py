"""What touches the world: files, feeds, brokers, clocks, settings. Each imports the kernel and one foreign library."""

"""Everything that touches the world: files, feeds, brokers, clocks, settings. Each imports the kernel and its one foreign library."""

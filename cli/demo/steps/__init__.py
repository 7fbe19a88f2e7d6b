"""What the demo shows, one step per module, in the order of `cli.demo.whole_run`."""

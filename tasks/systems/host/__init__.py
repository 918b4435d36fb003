"""A machine: processor, memory, disks, network, graphics processors."""

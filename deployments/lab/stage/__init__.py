"""The stage: each platform's HTTP services, played on loopback on top of the lab's real stores."""

"""Controls over what existing scanners wrote: Watchkeeper looks for no holes itself."""

"""The parts of a forecast: quality, seasons, steps, members, weights, intervals, crossings. Pure; numpy and pandas."""

"""Learned rounding: which of its neighbours on the grid each weight becomes, by what the operator then computes from examples."""

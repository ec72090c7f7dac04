"""Bias, dark and bad-pixel reference files of JWST NIRSpec."""

"""What everybody may lean on: errors, ids, limits, encodings, the seams. Touches nothing."""

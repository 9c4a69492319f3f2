"""From videos to features of a whole data set: the work, the workers, and the store that holds what they give."""

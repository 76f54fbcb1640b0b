"""Where the cells are trained: by processes of this machine, or by a cluster's workers."""

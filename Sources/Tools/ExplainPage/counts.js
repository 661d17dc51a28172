// counts

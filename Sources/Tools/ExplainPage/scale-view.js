// scale-view

// attention-view

// token-view

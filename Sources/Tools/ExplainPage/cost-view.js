// cost-view

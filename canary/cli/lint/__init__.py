"""What is wrong with files of Canaries, MetricTemplates and AlertProviders, and where."""

"""What scores programs: trained models in folders, classifiers of others, servers, judges."""

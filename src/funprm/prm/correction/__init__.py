"""What corrects the labels of partial programs: learned rewards, learned weights, a posterior."""

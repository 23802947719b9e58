import copy

print("seen" if "k" in copy._deepcopy_dispatch else "fresh")
copy._deepcopy_dispatch["k"] = 1

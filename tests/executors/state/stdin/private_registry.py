import typing

print("seen" if "q" in typing._overload_registry else "fresh")
typing._overload_registry["q"] = {}

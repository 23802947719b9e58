import statistics

own = statistics.sys.modules
print("seen" if "zz" in own else "fresh")
own["zz"] = statistics

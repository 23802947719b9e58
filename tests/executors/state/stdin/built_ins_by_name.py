from operator import attrgetter

own = attrgetter("__dict__")(attrgetter("__self__")(print))
print("seen" if "zz" in own else "fresh")
own["zz"] = 1

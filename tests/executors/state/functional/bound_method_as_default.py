def f(x, add=[].append, n=[].__len__):
    seen = n()
    add(1)
    return seen

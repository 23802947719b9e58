try:
    exit.seen
except AttributeError:
    print("fresh")
else:
    print("seen")
exit.seen = 1

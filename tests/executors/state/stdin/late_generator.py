def late():
    try:
        yield
    finally:
        print("seen")


loop = [late()]
loop.append(loop)
next(loop[0])
print("fresh")

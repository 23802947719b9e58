match print:
    case object(__self__=found):
        own = found
print("seen" if "zz" in vars(own) else "fresh")
vars(own)["zz"] = 1

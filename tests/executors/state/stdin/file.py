import os

print("seen" if os.path.exists("a") else "fresh")
open("a", "w").close()

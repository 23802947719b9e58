"""The method as stages: each reads records and writes records, and can be run again alone.

load · generate · segment · rollout · execute · reward · train · score · select · report
"""

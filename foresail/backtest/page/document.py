"""placeholder"""
def page(report, *, problem, replays):
    return ""

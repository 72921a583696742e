"""Does every case of what plants send come out right?"""

"""`flagger.app/v1beta2` of the Canary: served where it is asked for, never stored, and v1beta1 said another way.

It has no models of its own: what a field means, and what it may be, v1beta1 says. `table` says where each field of
v1beta1 stands in it; of that one table are made the conversion both ways, the schema, and the names of fields in words.
"""

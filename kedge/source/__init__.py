"""Source: what was delivered, when it is complete, and how it becomes the dataset `raw`.

`kedge.source.calendar` and `kedge.source.arrival` are light (standard library only), so that sensors and
schedules may import them; `kedge.source.take.take` reads a delivery into the lake.
"""

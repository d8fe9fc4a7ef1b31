"""Catalogues as a team might change its own from one release to the next."""

from features.catalogue import Catalogue, Count, Sum, Windowed

FIRST = Catalogue(
    measures=[Count("views", of="view_item")],
    features=[Windowed("viewCount1h", "views", window="1h", doc="Views of an hour.")],
)

MORE = Catalogue(
    measures=[Count("views", of="view_item"), Sum("spent", of="purchase", value="value")],
    features=[
        Windowed("viewCount1h", "views", window="1h", doc="Views of an hour."),
        Windowed("viewCount24h", "views", window="24h", doc="A new window over an old measure."),
        Windowed("spent24h", "spent", window="24h", doc="A new measure."),
    ],
)

CHANGED = Catalogue(
    measures=[Count("views", of="select_item")],
    features=[Windowed("viewCount1h", "views", window="1h", doc="Views of an hour.")],
)

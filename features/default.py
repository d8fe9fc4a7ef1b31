"""The catalogue that Headrace ships: what a shop usually asks about a visitor."""

from features.catalogue import Catalogue, Count, LastDistinct, Recent, Seen, Sum, Windowed

CATALOGUE = Catalogue(
    measures=[
        Count("views", of="view_item"),
        Count("cart_adds", of="add_to_cart"),
        Count("purchases", of="purchase"),
        Sum("revenue", of="purchase", value="value"),
        LastDistinct("viewed_items", of="view_item", field="item_id", k=20),
    ],
    definitions=[
        Windowed("viewCount5m", "views", window="5m", doc="Items viewed in the last 5 minutes."),
        Windowed("viewCount1h", "views", window="1h", doc="Items viewed in the last hour."),
        Windowed("viewCount24h", "views", window="24h", doc="Items viewed in the last 24 hours."),
        Windowed("viewCount7d", "views", window="7d", doc="Items viewed in the last 7 days."),
        Windowed("cartAddCount24h", "cart_adds", window="24h", doc="Items added to the cart in the last 24 hours."),
        Windowed("purchaseCount30d", "purchases", window="30d", doc="Purchases in the last 30 days."),
        Windowed("revenue30d", "revenue", window="30d", doc="Value of the purchases of the last 30 days."),
        Recent("recentItems", "viewed_items", doc="The last 20 items viewed, newest first, each once."),
        Seen("lastSeenAt", "last", doc="Time of the latest event of any type."),
        Seen("firstSeenAt", "first", doc="Time of the earliest event of any type."),
    ],
)

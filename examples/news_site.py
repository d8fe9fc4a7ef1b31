"""A catalogue for a news site: article reads, dwell time, authors followed.

    HEADRACE_FEATURES__CATALOGUE=examples.news_site:CATALOGUE

How a news site's events map onto the fields that every event has:

    an article is read      view_item    itemId the article, category its section, value the seconds spent on it
    an author is followed   sign_up      category the author; an `undo` of it within 24 hours unfollows
    an article is shared    share        itemId the article, category its section
"""

from features.catalogue import (
    Catalogue,
    Count,
    DaysActive,
    Decayed,
    DecayedSum,
    Distinct,
    DistinctCount,
    Edge,
    EdgeValue,
    Extreme,
    LastDistinct,
    Moments,
    Ratio,
    Recent,
    SecondsSince,
    SessionEvents,
    Sessions,
    Sum,
    Top,
    Windowed,
    WindowedExtreme,
)

CATALOGUE = Catalogue(
    measures=[
        Count("reads", of="view_item"),
        Count("shares", of="share"),
        Sum("dwell_seconds", of="view_item", value="value"),
        Extreme("longest_read", of="view_item", value="value", which="max"),
        Distinct("sections", of="view_item", field="category"),
        LastDistinct("articles", of="view_item", field="item_id", k=30),
        LastDistinct("authors", of="sign_up", field="category", k=50),
        Decayed("section_interest", weights={"view_item": 1, "share": 5}, half_life="3d", by="category"),
        Decayed("attention", weights={"view_item": 1}, half_life="12h", value="value"),
        Edge("first_section", of="view_item", field="category", which="first"),
        Moments("read_moments", of="view_item"),
        Sessions("visits", gap="20m"),
    ],
    features=[
        Windowed("articlesRead24h", "reads", window="24h", doc="Articles read in the last 24 hours."),
        DaysActive("readingDays30d", "reads", window="30d", doc="Days with an article read, of the last 30."),
        Windowed("dwellSeconds7d", "dwell_seconds", window="7d", doc="Seconds spent on articles in 7 days."),
        Ratio("meanDwellSeconds7d", "dwell_seconds", "reads", window="7d", doc="Mean seconds spent on an article."),
        WindowedExtreme("longestReadSeconds7d", "longest_read", window="7d", doc="Longest time spent on one article."),
        Ratio("shareRate30d", "shares", "reads", window="30d", prior=(50, 0.01), doc="Shares per article read."),
        DistinctCount("sectionsRead7d", "sections", window="7d", doc="Different sections read in 7 days."),
        Recent("recentArticles", "articles", doc="The last 30 articles read, newest first."),
        Recent("authorsFollowed", "authors", doc="Authors followed, newest first."),
        Top("topSections", "section_interest", k=5, doc="Sections of most interest; half-life 3 days."),
        DecayedSum("attention", "attention", doc="Seconds of reading, of which half count after 12 hours."),
        EdgeValue("firstSection", "first_section", doc="The section that brought the reader here."),
        SecondsSince("secondsSinceLastRead", "read_moments", doc="Seconds since the last article."),
        SessionEvents("visitEventCount", "visits", doc="Events of the current visit."),
    ],
)

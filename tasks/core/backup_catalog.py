"""What the health check measures of a system's backups, with the limits that hold where the spec says nothing."""

from __future__ import annotations

from tasks.core.limits import Bound, Catalog, Limit, Measure, Worse
from tasks.core.units import Unit

_DAY, _HOUR = 86_400.0, 3_600.0

BACKUPS = Catalog(
    Measure(
        name="backup_exists",
        unit=Unit.YES_NO,
        worse=Worse.BELOW,
        help="Whether there is a complete backup at all, for each way in which the system is taken.",
        limit=Limit(critical=Bound(0, Unit.YES_NO)),
        remedy="Back it up now: watchkeeper backup; see why the flow backup has not.",
    ),
    Measure(
        name="backup_age",
        words="age of the newest backup of {system} ({subject})",
        unit=Unit.SECONDS,
        help="How long ago it was as the newest complete backup shows it, for each way in which it is taken.",
        limit=Limit(warn=Bound(26 * _HOUR, Unit.SECONDS), critical=Bound(50 * _HOUR, Unit.SECONDS)),
        remedy="Look at the last runs of the flow backup; back it up now: watchkeeper backup.",
    ),
    Measure(
        name="verified_backup_age",
        words="age of the newest verified backup of {system} ({subject})",
        unit=Unit.SECONDS,
        help="The age of the newest backup that was restored and compared; of the oldest there is where none was.",
        limit=Limit(warn=Bound(9 * _DAY, Unit.SECONDS)),
        remedy="Verify the newest backup: a backup that was never restored is a hope.",
    ),
    Measure(
        name="backup_shrinkage",
        words="shrinkage of the newest backup of {system} ({subject})",
        share="those before",
        unit=Unit.RATIO,
        help="How much smaller the newest whole backup is than the median of up to ten before it.",
        limit=Limit(warn=Bound(0.5, Unit.RATIO), critical=Bound(0.9, Unit.RATIO)),
        remedy="See whether data were lost, or the user for backups may not read them any more; pin an older backup.",
    ),
    Measure(
        name="backup_growth",
        words="growth of the newest backup of {system} ({subject})",
        share="those before",
        unit=Unit.RATIO,
        help="How much larger the newest whole backup is than the median of up to ten before it.",
        limit=Limit(warn=Bound(2.0, Unit.RATIO)),
        remedy="See what has grown, and whether the vaults have room.",
    ),
    Measure(
        name="backup_counts_lost",
        words="what the newest backup of {system} lacks ({subject})",
        share="the one before",
        unit=Unit.RATIO,
        help="The share of rows, documents, keys or objects that the newest whole backup has less than the one before.",
        limit=Limit(warn=Bound(0.3, Unit.RATIO), critical=Bound(0.9, Unit.RATIO)),
        remedy="See whether they were removed on purpose; pin the backup before this one.",
    ),
    Measure(
        name="live_shrinkage",
        words="shrinkage of {system} ({subject})",
        share="its newest backup",
        unit=Unit.RATIO,
        help="How much smaller the live system is now than its newest backup saw it, of a bucket, files or a Redis.",
        limit=Limit(warn=Bound(0.5, Unit.RATIO), critical=Bound(0.9, Unit.RATIO)),
        remedy="See whether data were removed on purpose; pin the newest backup before retention takes it.",
    ),
    Measure(
        name="missed_backups",
        words="missed backups of {system} ({subject})",
        unit=Unit.COUNT,
        help="How many runs are missing within a week, by the usual time between them.",
        limit=Limit(warn=Bound(0, Unit.COUNT)),
        remedy="Look at the runs of the flow backup: late, failed, or not scheduled.",
    ),
    Measure(
        name="backup_copy_lag",
        words="lag of the copies of backups of {system} ({subject})",
        unit=Unit.SECONDS,
        help="How much older the newest backup in a further vault is than the one in the first.",
        limit=Limit(warn=Bound(6 * _HOUR, Unit.SECONDS), critical=Bound(2 * _DAY, Unit.SECONDS)),
        remedy="See why it is not copied; copy it now: watchkeeper backups copy.",
    ),
    Measure(
        name="archive_gaps",
        words="gaps in the archived log of {system} ({subject})",
        unit=Unit.COUNT,
        help="Segments of the write-ahead log that are missing behind the newest copy of the files, in each vault.",
        limit=Limit(critical=Bound(0, Unit.COUNT)),
        remedy="No moment behind the gap can be restored: take a new copy now, then see why they were not archived.",
    ),
    Measure(
        name="archive_lag",
        words="lag of the archived log of {system} ({subject})",
        unit=Unit.SECONDS,
        help="How long ago the last segment was archived that can be reached without a gap, in each vault.",
        limit=Limit(warn=Bound(_HOUR, Unit.SECONDS), critical=Bound(6 * _HOUR, Unit.SECONDS)),
        remedy="See pg_stat_archiver, and archive_timeout of a server that writes little.",
    ),
    Measure(
        name="incomplete_backups",
        words="incomplete backups of {system} ({subject})",
        unit=Unit.COUNT,
        help="What was begun in a vault more than a day ago and never completed.",
        limit=Limit(warn=Bound(0, Unit.COUNT)),
        remedy="See in the runs of the flow backup what happened, then clean: watchkeeper vault clean.",
    ),
)
"""What the health check measures of each system that is backed up."""

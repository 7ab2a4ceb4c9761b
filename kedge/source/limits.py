"""How large a delivery may be. Each limit is looked at before what it limits is parsed or kept in memory."""

MAX_FILE_BYTES = 8 << 30
MAX_ROWS = 20_000_000  # of one file, and of one day whatever the number of its files
MAX_COLUMNS = 2_000
MAX_ROW_BYTES = 8 << 20  # of text; also the size of a batch
MAX_CELL_BYTES = 1 << 20
MAX_HEADER_BYTES = 1 << 20
MAX_FOOTER_BYTES = 64 << 20  # of a Parquet file: what describes its columns and row groups

# A zip bomb unpacks to about 1,000 times its size, tables of people to 3 to 30 times.
MAX_RATIO = 200
FREE_BYTES = 64 << 20  # a file may unpack to so much, whatever its size

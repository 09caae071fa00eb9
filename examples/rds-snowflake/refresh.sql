-- Snowflake, after the external tables were made: a task for each of them, so that new files are found by themselves.
-- Without a warehouse, Snowflake chooses one for the task.
CREATE TASK refresh_invoice
  SCHEDULE = '60 MINUTE'
AS
  ALTER EXTERNAL TABLE "dbo_invoice" REFRESH;
ALTER TASK refresh_invoice RESUME;

CREATE TASK refresh_invoice_line
  SCHEDULE = '60 MINUTE'
AS
  ALTER EXTERNAL TABLE "dbo_invoice_line" REFRESH;
ALTER TASK refresh_invoice_line RESUME;

CREATE TASK refresh_currency_rate
  SCHEDULE = '60 MINUTE'
AS
  ALTER EXTERNAL TABLE "dbo_currency_rate" REFRESH;
ALTER TASK refresh_currency_rate RESUME;

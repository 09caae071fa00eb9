-- A control table for watermarks that holds every type exactly, and the procedure that moves them.
--
-- Deploy with WatermarkTable=dbo.tidemark_watermark and WatermarkProcedure=dbo.tidemark_write_watermark.
-- The Azure tutorials' watermarktable and usp_write_watermark work as well; what this variant adds:
--   * values are text in their own type's form, so datetime2(7), decimals, big integers and rowversions keep every digit;
--   * a table needs no row before its first run: the procedure inserts it;
--   * Tidemark passes the value it expects as the third argument (NULL: none yet), and a move from another is refused.
-- SQL Server 2016 SP1 or later, Azure SQL Database. May be run again.

IF OBJECT_ID(N'dbo.tidemark_watermark', N'U') IS NULL
    CREATE TABLE dbo.tidemark_watermark
    (
        TableName nvarchar(517) NOT NULL CONSTRAINT PK_tidemark_watermark PRIMARY KEY NONCLUSTERED,
        WatermarkValue nvarchar(64) NOT NULL,
        UpdatedAt datetime2(3) NOT NULL CONSTRAINT DF_tidemark_watermark_UpdatedAt DEFAULT SYSUTCDATETIME()
    );
GO

CREATE OR ALTER PROCEDURE dbo.tidemark_write_watermark
    @WatermarkValue nvarchar(64),
    @TableName nvarchar(517),
    @Expected nvarchar(64) = N'*'
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;

    IF @WatermarkValue IS NULL OR @TableName IS NULL
        THROW 50001, N'The watermark and the name of its table cannot be NULL.', 1;

    BEGIN TRANSACTION;

    -- The range is locked even when the row is not there yet, so two first moves cannot both insert it.
    DECLARE @Stored nvarchar(64) =
    (
        SELECT WatermarkValue
        FROM dbo.tidemark_watermark WITH (UPDLOCK, HOLDLOCK)
        WHERE TableName = @TableName
    );

    -- A move that is repeated finds its own value and changes nothing.
    IF @Stored IS NULL OR @Stored <> @WatermarkValue
    BEGIN
        IF (@Expected IS NULL AND @Stored IS NOT NULL)
            OR (@Expected <> N'*' AND (@Stored IS NULL OR @Stored <> @Expected))
            THROW 50002, N'The stored watermark is not the expected one; another run has moved it.', 1;

        IF @Stored IS NULL
            INSERT INTO dbo.tidemark_watermark (TableName, WatermarkValue) VALUES (@TableName, @WatermarkValue);
        ELSE
            UPDATE dbo.tidemark_watermark
            SET WatermarkValue = @WatermarkValue, UpdatedAt = SYSUTCDATETIME()
            WHERE TableName = @TableName;
    END

    COMMIT TRANSACTION;
END
GO

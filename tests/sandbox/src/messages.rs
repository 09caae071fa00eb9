//! The texts of errors as the server's `sys.messages` has them, one a line: number, severity, state, text.

/// Returns the severity, the state and the text of an error. In the text, `%s` stands for the details of a case.
pub fn find(number: i32) -> Option<(u8, u8, &'static str)> {
    let line = ALL.lines().find_map(|line| line.strip_prefix(&format!("{number} ")))?;
    let mut parts = line.splitn(3, ' ');
    let (class, state) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    Some((class, state, parts.next()?))
}

const ALL: &str = r#"102 15 1 Incorrect syntax near '%s'.
104 15 1 ORDER BY items must appear in the select list if the statement contains a UNION, INTERSECT or EXCEPT operator.
105 15 1 Unclosed quotation mark after the character string '%s'.
107 15 1 The column prefix '%s' does not match with a table name or alias name used in the query.
108 15 1 The ORDER BY position number %s is out of range of the number of items in the select list.
109 15 1 There are more columns in the INSERT statement than values specified in the VALUES clause. The number of values in the VALUES clause must match the number of columns specified in the INSERT statement.
110 15 1 There are fewer columns in the INSERT statement than values specified in the VALUES clause. The number of values in the VALUES clause must match the number of columns specified in the INSERT statement.
111 15 1 '%s' must be the first statement in a query batch.
113 15 1 Missing end comment mark '*/'.
116 16 1 Only one expression can be specified in the select list when the subquery is not introduced with EXISTS.
119 15 1 Must pass parameter number %s and subsequent parameters as '@name = value'. After the form '@name = value' has been used, all subsequent parameters must be passed in the form '@name = value'.
120 15 1 The select list for the INSERT statement contains fewer items than the insert list. The number of SELECT values must match the number of INSERT columns.
121 15 1 The select list for the INSERT statement contains more items than the insert list. The number of SELECT values must match the number of INSERT columns.
127 15 1 A TOP N or FETCH rowcount value may not be negative.
130 16 1 Cannot perform an aggregate function on an expression containing an aggregate or a subquery.
131 15 1 The size (%s) given to the type '%s' exceeds the maximum allowed for any data type (%s).
137 15 2 Must declare the scalar variable "@%s".
141 15 1 A SELECT statement that assigns a value to a variable must not be combined with data-retrieval operations.
147 15 1 An aggregate may not appear in the WHERE clause unless it is in a subquery contained in a HAVING clause or a select list, and the column being aggregated is an outer reference.
155 15 2 '%s' is not a recognized %s option.
156 15 1 Incorrect syntax near the keyword '%s'.
174 15 1 The %s function requires %s argument(s).
189 15 1 The %s function requires %s to %s arguments.
192 15 1 The scale must be less than or equal to the precision.
195 15 1 '%s' is not a recognized %s.
201 16 4 Procedure or function '%s' expects parameter '@%s', which was not supplied.
205 16 1 All queries combined using a UNION, INTERSECT or EXCEPT operator must have an equal number of expressions in their target lists.
206 16 2 Operand type clash: %s is incompatible with %s
207 16 1 Invalid column name '%s'.
208 16 1 Invalid object name '%s'.
209 16 1 Ambiguous column name '%s'.
213 16 1 Column name or number of supplied values does not match table definition.
217 16 1 Maximum stored procedure, function, trigger, or view nesting level exceeded (limit 32).
219 16 1 The type '%s' already exists, or you do not have permission to create it.
220 16 1 Arithmetic overflow error for data type %s, value = %s.
226 16 6 ALTER DATABASE statement not allowed within multi-statement transaction.
229 14 5 The %s permission was denied on the object '%s', database '%s', schema '%s'.
230 14 1 The %s permission was denied on the column '%s' of the object '%s', database '%s', schema '%s'.
235 16 0 Cannot convert a char value to money. The char value has incorrect syntax.
241 16 1 Conversion failed when converting date and/or time from character string.
242 16 3 The conversion of a %s data type to a %s data type resulted in an out-of-range value.
244 16 1 The conversion of the %s value '%s' overflowed an %s column. Use a larger integer column.
245 16 1 Conversion failed when converting the %s value '%s' to data type %s.
248 16 1 The conversion of the %s value '%s' overflowed an int column.
257 16 3 Implicit conversion from data type %s to %s is not allowed. Use the CONVERT function to run this query.
262 14 1 %s permission denied in database '%s'.
263 16 1 Must specify table to select from.
264 16 1 The column name '%s' is specified more than once in the SET clause or column list of an INSERT.
271 16 1 The column "%s" cannot be modified because it is either a computed column or is the result of a UNION operator.
272 16 1 Cannot update a timestamp column.
273 16 1 Cannot insert an explicit value into a timestamp column. Use INSERT with a column list to exclude the timestamp column, or insert a DEFAULT into the timestamp column.
306 16 1 The text, ntext, and image data types cannot be compared or sorted, except when using IS NULL or LIKE operator.
313 16 1 An insufficient number of arguments were supplied for the procedure or function sys.dm_db_stats_histogram.
402 16 1 The data types %s and %s are incompatible in the %s operator.
421 16 1 The %s data type cannot be selected as DISTINCT because it is not comparable.
447 16 1 Expression type %s is invalid for COLLATE clause.
448 15 1 Invalid collation '%s'.
451 16 1 Cannot resolve the collation conflict between "%s" and "%s" in %s operator occurring in SELECT statement column %s.
468 16 9 Cannot resolve the collation conflict between "%s" and "%s" in the %s operation.
506 16 1 The invalid escape character "%s" was specified in a LIKE predicate.
515 16 2 Cannot insert the value NULL into column '%s', table '%s'; column does not allow nulls. %s fails.
517 16 1 Adding a value to a date/time column caused an overflow.
529 16 1 Explicit conversion from data type %s to %s is not allowed.
535 16 0 The datediff function resulted in an overflow. The number of dateparts separating two date/time instances is too large. Try to use datediff with a less precise datepart.
537 16 3 Invalid length parameter passed to the LEFT or SUBSTRING function.
544 16 1 Cannot insert explicit value for identity column in table '%s' when IDENTITY_INSERT is set to OFF.
545 16 1 Explicit value must be specified for identity column in table '%s' either when IDENTITY_INSERT is set to ON or when a replication user is inserting into a NOT FOR REPLICATION identity column.
547 16 0 The %s statement conflicted with the CHECK constraint "%s". The conflict occurred in database "%s", table "%s.%s".
628 16 1 Cannot issue SAVE TRANSACTION when there is no active transaction.
911 16 1 Database '%s' does not exist. Make sure that the name is entered correctly.
916 14 1 The server principal "%s" is not able to access the database "%s" under the current security context.
1001 15 1 Length or precision specification %s is invalid.
1002 15 1 Line 1: Specified scale %s is invalid.
1007 15 1 The number '%s' is out of the range for numeric representation (maximum precision 38).
1013 16 1 The objects "%s" and "%s" in the FROM clause have the same exposed names. Use correlation names to distinguish them.
1038 15 5 An object or column name is missing or empty. For SELECT INTO statements, verify each column has a name (column %s).
1060 15 1 The number of rows provided for a TOP or FETCH clauses row count parameter must be an integer.
1087 15 2 Must declare the table variable "@%s".
1088 16 12 Cannot find the object "%s" because it does not exist or you do not have permissions.
1205 13 51 Transaction (Process ID %s) was deadlocked on lock resources with another process and has been chosen as the deadlock victim. Rerun the transaction.
1222 16 51 Lock request time out period exceeded.
1223 16 1 Cannot release the application lock (Database Principal: 'public', Resource: '%s') because it is not currently held.
1505 16 1 The CREATE UNIQUE INDEX statement terminated because a duplicate key was found for the object name '%s.%s' and the index name '%s'.
1718 16 1 Change tracking must be enabled on database '%s' before it can be enabled on table '%s'.
1756 16 1 CREATE TABLE failed: at least one column must be stored.
1801 16 3 Database '%s' already exists. Choose a different database name.
1911 16 1 Column name '%s' does not exist in the target table or view.
1913 16 1 The operation failed because an index or statistics with name '%s' already exists on table '%s.%s'.
1919 16 1 Column '%s' in table '%s.%s' is of a type that is invalid for use as a key column in an index.
1921 16 1 Invalid filegroup '%s' specified.
2601 14 1 Cannot insert duplicate key row in object '%s' with unique index '%s'.
2627 14 1 Violation of %s constraint '%s'. Cannot insert duplicate key in object '%s'.
2628 16 1 String or binary data would be truncated in table '%s', column '%s'. Truncated value: '%s'.
2705 16 3 Column names in each table must be unique. Column name '%s' in table '%s' is specified more than once.
2714 16 6 There is already an object named '%s' in the database.
2715 16 1 Column, parameter, or variable: Cannot find data type %s.
2716 16 1 Column, parameter, or variable: Cannot specify a column width on data type %s.
2738 16 2 A table can only have one timestamp column. Because table '%s' already has one, the column cannot be added.
2744 16 2 Multiple identity columns specified for table '%s'. Only one identity column per table is allowed.
2749 16 2 Identity column '%s' must be of data type int, bigint, smallint, tinyint, or decimal or numeric with a scale of 0, unencrypted, and constrained to be nonnullable.
2760 16 1 The specified schema name "%s" either does not exist or you do not have permission to use it.
2767 16 1 Could not locate statistics '%s' in the system catalogs.
2812 16 62 Could not find stored procedure '%s'.
3621 0 1 The statement has been terminated.
3701 11 5 Cannot drop the %s '%s', because it does not exist or you do not have permission.
3902 16 1 The COMMIT TRANSACTION request has no corresponding BEGIN TRANSACTION.
3903 16 1 The ROLLBACK TRANSACTION request has no corresponding BEGIN TRANSACTION.
3930 16 1 The current transaction cannot be committed and cannot support operations that write to the log file. Roll back the transaction.
3906 16 1 Failed to update database "%s" because the database is read-only.
3951 16 1 Transaction failed in database '%s' because the statement was run under snapshot isolation but the transaction did not start in snapshot isolation. You cannot change the isolation level of the transaction to snapshot after the transaction has started unless the transaction was originally started under snapshot isolation level.
3952 16 1 Snapshot isolation transaction failed accessing database '%s' because snapshot isolation is not allowed in this database. Use ALTER DATABASE to allow snapshot isolation.
3960 16 2 Snapshot isolation transaction aborted due to update conflict. You cannot use snapshot isolation to access table '%s.%s' directly or indirectly in database '%s' to update, delete, or insert the row that has been modified or deleted by another transaction. Retry the transaction or change the isolation level for the update/delete statement.
3961 16 1 Snapshot isolation transaction failed in database '%s' because the object accessed by the statement has been modified by a DDL statement in another concurrent transaction since the start of this transaction. It is disallowed because the metadata is not versioned. A concurrent update to metadata can lead to inconsistency if mixed with snapshot isolation.
3998 16 1 Uncommittable transaction is detected at the end of the batch. The transaction is rolled back.
4002 16 1 The incoming tabular data stream (TDS) protocol stream is incorrect. The stream ended unexpectedly.
4060 11 1 Cannot open database "%s" requested by the login. The login failed.
4104 16 1 The multi-part identifier "%s" could not be bound.
4112 15 1 The function '%s' must have an OVER clause with ORDER BY.
4121 16 1 Cannot find either column "%s" or the user-defined function or aggregate "%s", or the name is ambiguous.
4127 16 1 At least one of the arguments to COALESCE must be an expression that is not the NULL constant.
4145 15 1 An expression of non-boolean type specified in a context where a condition is expected.
4188 16 1 Column or parameter '%s' has type '%s' and collation '%s'. The legacy LOB types do not support UTF-8 or UTF-16 encodings. Use types varchar(max), nvarchar(max) or a collation which does not have the _SC or _UTF8 flags.
4511 16 1 Create View or Function failed because no column name was specified for column %s.
4512 16 3 Cannot schema bind view '%s' because name '%s' is invalid for schema binding. Names must be in two-part format and an object cannot reference itself.
4701 16 1 Cannot find the object "%s" because it does not exist or you do not have permissions.
4804 16 1 While reading current row from host, a premature end-of-message was encountered--an incoming data stream was interrupted when the server expected to see more data.
4816 16 1 Invalid column type from bcp client for colid %s.
4875 16 1 Invalid column attribute from bcp client for colid %s.
4901 16 1 ALTER TABLE only allows columns to be added that can contain nulls, or have a DEFAULT definition specified, or the column being added is an identity or timestamp column, or alternatively if none of the previous conditions are satisfied the table must be empty to allow addition of this column. Column '%s' cannot be added to non-empty table '%s' because it does not satisfy these conditions.
4902 16 1 Cannot find the object "%s" because it does not exist or you do not have permissions.
4922 16 1 ALTER TABLE DROP COLUMN %s failed because one or more objects access this column.
4924 16 1 ALTER TABLE DROP COLUMN failed because column '%s' does not exist in table '%s'.
4996 16 1 Change tracking is already enabled for table '%s'.
4997 16 1 Cannot enable change tracking on table '%s'. Change tracking requires a primary key on the table. Create a primary key on the table before enabling change tracking.
4998 16 1 Change tracking is not enabled on table '%s'.
4999 16 1 Cannot enable change tracking on table '%s'. Change tracking does not support a primary key of type timestamp on a table.
5011 14 5 User does not have permission to alter database '%s', the database does not exist, or the database is not in a state that allows access checks.
5074 16 1 The object '%s' is dependent on column '%s'.
5088 16 1 Change tracking is already enabled for database '%s'.
5089 16 1 Change tracking is disabled for database '%s'. Change tracking must be enabled on a database to modify change tracking settings.
5090 16 1 Database '%s' is a system database. Change tracking settings cannot be modified for system databases.
5091 15 1 ALTER DATABASE change tracking option '%s' was specified more than once. Each option can be specified only once.
5092 15 1 The value for change tracking option 'CHANGE_RETENTION' is not valid. The value must be between 1 and 2147483647 minutes.
5120 16 1 Unable to open the data file: %s.
5324 15 1 In a MERGE statement, a '%s' clause with a search condition cannot appear after a '%s' clause with no search condition.
5373 16 1 All the input parameters should be of the same type. Supported types are tinyint, smallint, int, bigint, decimal and numeric.
5701 0 2 Changed database context to '%s'.
5703 0 1 Changed language setting to us_english.
7202 16 1 Could not find server '%s' in sys.servers. Verify that the correct server name was specified.
8009 16 1 The incoming tabular data stream (TDS) remote procedure call (RPC) protocol stream is incorrect. Data type 0x%s is unknown.
8101 16 1 An explicit value for the identity column in table '%s' can only be specified when a column list is used and IDENTITY_INSERT is ON.
8102 16 1 Cannot update identity column '%s'.
8106 16 1 Table '%s' does not have the identity property. Cannot perform SET operation.
8110 16 0 Cannot add multiple PRIMARY KEY constraints to table '%s'.
8111 16 1 Cannot define PRIMARY KEY constraint on nullable column in table '%s'.
8114 16 5 Error converting data type %s to %s.
8115 16 2 Arithmetic overflow error converting %s to data type %s.
8116 16 1 Argument data type %s is invalid for argument %s of %s function.
8117 16 1 Operand data type %s is invalid for %s operator.
8120 16 1 Column '%s' is invalid in the select list because it is not contained in either an aggregate function or the GROUP BY clause.
8133 16 1 At least one of the result expressions in a CASE specification must be an expression other than the NULL constant.
8134 16 1 Divide by zero error encountered.
8144 16 2 Procedure or function %s has too many arguments specified.
8145 16 2 @%s is not a parameter for procedure %s.
8155 16 1 No column name was specified for column %s of '%s'.
8156 16 1 The column '%s' was specified multiple times for '%s'.
8159 16 1 '%s' has fewer columns than were specified in the column list.
8162 16 2 The formal parameter "@%s" was not declared as an OUTPUT parameter, but the actual parameter passed in requested output.
8169 16 2 Conversion failed when converting from a character string to uniqueidentifier.
8170 16 1 Insufficient result space to convert uniqueidentifier value to char.
8179 16 2 Could not find prepared statement with handle %s.
8623 16 1 The stand-in's storage could not run the statement: %s.
8624 16 1 Internal Query Processor Error: %s.
8672 16 1 The MERGE statement attempted to UPDATE or DELETE the same row more than once. This happens when a target row matches more than one source row. A MERGE statement cannot UPDATE/DELETE the same row of the target table multiple times. Refine the ON clause to ensure a target row matches at most one source row, or use the GROUP BY clause to group the source rows.
9810 16 1 The datepart %s is not supported by date function for data type %s.
9820 16 1 The time zone parameter '%s' provided to AT TIME ZONE clause is invalid.
10700 16 1 The table-valued parameter "@%s" is READONLY and cannot be modified.
10704 15 1 To rethrow an error, a THROW statement must be used inside a CATCH block. Insert the THROW statement inside a CATCH block, or add error parameters to the THROW statement.
10709 16 1 The number of columns for each row in a table value constructor must be the same.
10710 15 1 An action of type '%s' is not allowed in the '%s' clause of a MERGE statement.
10713 15 1 A MERGE statement must be terminated by a semi-colon (;).
10714 15 1 An action of type '%s' cannot appear more than once in a '%s' clause of a MERGE statement.
13509 16 1 Cannot create generated always column when SYSTEM_TIME period is not defined.
13510 16 1 Cannot set SYSTEM_VERSIONING to ON when SYSTEM_TIME period is not defined.
13536 16 1 Cannot insert an explicit value into a GENERATED ALWAYS column in table '%s'. Use INSERT with a column list to exclude the GENERATED ALWAYS column, or insert a DEFAULT into GENERATED ALWAYS column.
13537 16 1 Cannot update GENERATED ALWAYS columns in table '%s'.
15007 16 1 '%s' is not a valid login or you do not have permission.
15023 16 1 User, group, or role '%s' already exists in the current database.
15025 16 1 The server principal '%s' already exists.
15151 16 1 Cannot find the %s '%s', because it does not exist or you do not have permission.
17835 20 1 The stand-in speaks TDS 7.3 and later only; configure the client for 7.3 or 7.4.
18452 14 1 Login failed. The login is from an untrusted domain and cannot be used with Integrated authentication.
18456 14 1 Login failed for user '%s'.
22104 16 1 A table returned by the CHANGETABLE function must be aliased.
22105 16 1 Change tracking is not enabled on table '%s'.
22107 16 1 Object '%s' is of a data type that is not supported by the CHANGETABLE function. The object must be a user-defined table.
22114 16 1 Change tracking options for ALTER DATABASE cannot be combined with other ALTER DATABASE options.
22115 16 1 Change tracking is enabled for one or more tables in database '%s'. Disable change tracking on each table before disabling it for the database. Use the sys.change_tracking_tables catalog view to obtain a list of tables for which change tracking is enabled.
35100 16 1 Error number %s in the THROW statement is outside the valid range. Specify an error number in the valid range of 50000 to 2147483647.
40510 16 1 Statement '%s' is not supported in this version of SQL Server.
"#;

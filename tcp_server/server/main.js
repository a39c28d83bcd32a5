// Server accepts connections and sends back whatever each of them sends: an echo.
//
//	node tcp_server/server/main.js
'use strict'
const net = require('node:net')
const { parseArgs } = require('node:util')

const { addr } = parseArgs({ options: {
  addr: { type: 'string', default: '127.0.0.1:8080' }
} }).values
const [, host, port] = /^\[?(.*?)\]?:(\d+)$/.exec(addr)

// One thread runs everything here: Node calls a listener when something has happened.
const server = net.createServer(echo)
server.on('error', (err) => {
  console.error(`server: ${err.message}`)
  process.exitCode = 1
})
server.listen(port, host, () => console.log('listening on', at(server.address())))

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => {
    server.close()
    console.log('closed')
    process.exit() // connections still open would keep it alive
  })
}

// echo is called once for each connection; socket is the new connection.
function echo (socket) {
  const peer = at({ address: socket.remoteAddress, port: socket.remotePort })
  console.log(`${peer} connected`)
  // pipe stops reading while what it wrote waits, and at the client's FIN ends
  // our half too, once all is sent back.
  socket.pipe(socket)
  socket.on('close', () => console.log(`${peer} closed after ${socket.bytesWritten} bytes`))
  // With nobody to listen for it, an 'error' ends the process: one client's reset
  // would cost all of them their connections.
  socket.on('error', (err) => console.error(`server: ${err.message}`))
}

function at ({ address, port }) {
  return /:/.test(address) ? `[${address}]:${port}` : `${address}:${port}`
}
